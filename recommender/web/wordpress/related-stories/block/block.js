// The block in the editor: its two settings, and the list as the site would print it.
( function ( wp ) {
	var el = wp.element.createElement;
	var __ = wp.i18n.__;
	wp.blocks.registerBlockType( 'related-stories/list', {
		edit: function ( props ) {
			return el(
				'div',
				wp.blockEditor.useBlockProps(),
				el(
					wp.blockEditor.InspectorControls,
					null,
					el(
						wp.components.PanelBody,
						{ title: __( 'Settings', 'related-stories' ) },
						el( wp.components.TextControl, {
							label: __( 'Title (empty: as in the settings)', 'related-stories' ),
							value: props.attributes.title,
							onChange: function ( title ) { props.setAttributes( { title: title } ); }
						} ),
						el( wp.components.RangeControl, {
							label: __( 'Number of stories (0: as in the settings)', 'related-stories' ),
							value: props.attributes.number,
							min: 0,
							max: 20,
							onChange: function ( number ) { props.setAttributes( { number: number || 0 } ); }
						} )
					)
				),
				el( wp.components.Disabled, null, el( wp.serverSideRender, { block: 'related-stories/list', attributes: props.attributes } ) )
			);
		},
		save: function () { return null; }
	} );
} )( window.wp );
